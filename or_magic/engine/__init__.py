"""What happens between a question and the gateway: a call is composed, sent, folded and booked."""
