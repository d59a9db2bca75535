"""What the chaos runners share: studies, loaded processes, system calls, processes of Ray, verdicts, logs."""
