"""Example 3: a Glue table, its twins in Scala and Python, and a team's jar."""
