"""Training of a found network from scratch: settings, schedules, the step, and the whole run."""
