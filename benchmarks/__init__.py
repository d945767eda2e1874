"""What a step takes on this CPU, beside others of the same mathematics: seconds, memory, exactness."""
