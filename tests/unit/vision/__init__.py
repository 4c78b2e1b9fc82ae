"""Age, gender, BMI and liveness."""
