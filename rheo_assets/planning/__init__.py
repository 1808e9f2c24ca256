"""Plans: what has to be executed, in which order, before anything runs. Pure decisions."""
