"""What a run costs, found without its weights and without its data: parameters, operations, memory."""
