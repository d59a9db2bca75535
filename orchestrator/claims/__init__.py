"""One writer of a folder, on any file system: numbered claims, their beat, and how a stale one is taken over."""
