"""The rules of orders: pure functions over data that explain their result."""
