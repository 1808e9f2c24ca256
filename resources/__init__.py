"""What each deployment binds its code locations to: one module a deployment."""
