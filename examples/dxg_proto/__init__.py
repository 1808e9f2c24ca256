"""The user's Example 1: a generated dataset, a first session, and a team-mate's second one."""
