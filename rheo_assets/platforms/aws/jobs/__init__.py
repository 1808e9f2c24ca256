"""Jobs that run elsewhere: started once, watched by one loop, whatever dies."""
