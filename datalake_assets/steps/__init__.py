"""A pipeline as a list of steps: what each kind of step does when it runs."""
