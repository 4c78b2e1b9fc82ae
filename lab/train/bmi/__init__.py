"""A Vision Transformer that reads the BMI off a face: from a table of pictures to files that the workers load."""
