package run

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// nextStep is what the next version does to the schema: it adds, as every step should.
const nextStep = `-- +goose Up
ALTER TABLE deliveries ADD COLUMN next_note TEXT NOT NULL DEFAULT '';
ALTER TABLE editions ADD COLUMN next_number INTEGER NOT NULL DEFAULT 0;
CREATE TABLE next_things (name TEXT PRIMARY KEY, delivery_id INTEGER NOT NULL);
CREATE INDEX next_things_delivery ON next_things (delivery_id);
INSERT INTO next_things (name, delivery_id) SELECT 'first', coalesce(min(id), 0) FROM deliveries;

-- +goose Down
SELECT 1;
`

// BuildNext makes the binary of the next version: this one, with one step more in its
// migrations.
func BuildNext(ctx context.Context, dir string) (string, error) {
	root, err := module(ctx)
	if err != nil {
		return "", err
	}
	step := filepath.Join(dir, "next.sql")
	if err := os.WriteFile(step, []byte(nextStep), 0o600); err != nil {
		return "", err
	}
	// The compiler takes the file from the overlay, as if it lay among the others.
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, database := range []string{"sqlite", "postgres"} {
		steps, _ := filepath.Glob(filepath.Join(root, "migrations", database, "*.sql")) // fails on a bad pattern only
		overlay.Replace[filepath.Join(root, "migrations", database, fmt.Sprintf("%05d_next.sql", len(steps)+1))] = step
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", err
	}
	return build(ctx, root, filepath.Join(dir, "gazetted-next"), "-overlay", file)
}
