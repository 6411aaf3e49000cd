"""A batch of pictures fanned out on Ray: workers, dispatch, results."""
