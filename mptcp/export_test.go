package mptcp

// AnnounceAll has a Listener announce all of Advertise, however many they are.
func (c *Config) AnnounceAll() { c.announceAll = true }
