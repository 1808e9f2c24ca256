"""Example 1: a generated dataset, a first session, and a second session of a team-mate."""
