"""What is written for people to look at: pictures and pages."""
