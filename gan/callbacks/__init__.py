"""Lightning callbacks: measures, checkpoints, the position inside an epoch, pictures and reports of a run."""
