"""ModelConfig and the folder of a model."""
