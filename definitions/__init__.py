"""The code locations of this repository: each module declares an application and exposes its `defs`."""
