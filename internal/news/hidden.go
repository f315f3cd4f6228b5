package news

// Hidden is a text that is never shown: a key, a password. However a value that
// holds it is printed, logged or encoded, it reads "(hidden)".
type Hidden struct {
	text *string // a pointer, so that printing the bare field shows nothing either
}

// Hide hides s.
func Hide(s string) Hidden {
	if s == "" {
		return Hidden{}
	}
	return Hidden{text: &s}
}

// Reveal returns the text to who needs it.
func (h Hidden) Reveal() string {
	if h.text == nil {
		return ""
	}
	return *h.text
}

// String never gives the text.
func (h Hidden) String() string {
	if h.text == nil {
		return ""
	}
	return "(hidden)"
}

// GoString is for %#v.
func (h Hidden) GoString() string { return h.String() }

// MarshalText is for JSON and logs.
func (h Hidden) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
