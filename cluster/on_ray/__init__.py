"""Where trials run on Ray: the cluster, the pool, and a replica in a process of its own."""
