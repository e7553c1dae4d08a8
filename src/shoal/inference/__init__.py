"""From scores to answers: ranking, recommendations, similar items, predicted ratings, indexes."""
