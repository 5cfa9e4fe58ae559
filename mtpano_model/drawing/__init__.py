"""Pictures for people: colours, text, panels, sheets and a view of a cloud."""
