"""What all engines share: gates, driving one program, the tally that judges, and the runner."""
