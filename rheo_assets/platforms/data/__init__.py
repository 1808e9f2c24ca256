"""The data of a partition on any storage: its folder, whether it is ready, and how it is loaded."""
