package store

import "context"

// Schemas are the numbers of all steps.
func (s *Store) Schemas() ([]int64, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, step := range p.ListSources() {
		out = append(out, step.Version)
	}
	return out, nil
}

// MigrateTo applies steps up to this one.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}
