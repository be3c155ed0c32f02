"""The scores of judges and figures of their agreement, for `cantica agreement`."""
