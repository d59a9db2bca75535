"""The Ray that replicas run on: joined or started, who may come in, its nodes, its end."""
