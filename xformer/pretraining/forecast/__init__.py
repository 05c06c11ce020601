"""What a pretraining run will cost, before it is begun: time, memory, disk."""
