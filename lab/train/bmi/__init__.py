"""A Vision Transformer that estimates BMI from a face: from a table of pictures to the files that workers load."""
