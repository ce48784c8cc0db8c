"""Who is taken for a person talking over the agent: a corpus, and figures of the box in it."""
