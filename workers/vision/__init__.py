"""The vision branch: age, gender and BMI from portraits of the face."""
