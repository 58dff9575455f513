"""What it takes to run the app in containers, and to check that without a container engine."""
