package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) keyCommand() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "Keys of the publish API"}
	scope := ""
	add := &cobra.Command{
		Use: "add NAME [--scope publish:SOURCE]", Short: "Make a key and print it once", Args: cobra.ExactArgs(1),
		Long: `Makes a key with 256 random bits and prints it. Only its hash is kept: whoever
loses it makes a new one. It goes into requests as "Authorization: Bearer KEY".`,
		RunE: func(c *cobra.Command, args []string) error {
			var raw [32]byte
			if _, err := rand.Read(raw[:]); err != nil {
				return fmt.Errorf("make key: %w", err)
			}
			key := "gzk_" + hex.EncodeToString(raw[:])
			sum := sha256.Sum256([]byte(key))
			return a.withStore(c.Context(), func(s *store.Store) error {
				if err := s.AddKey(c.Context(), news.APIKey{Name: args[0], Scope: news.KeyScope(scope), Hash: hex.EncodeToString(sum[:])}); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]string{"name": args[0], "scope": scope, "key": key})
				}
				fmt.Fprintln(a.stdout, key)
				return nil
			})
		},
	}
	add.Flags().StringVar(&scope, "scope", news.ScopePublish, "what the key allows: publish, or publish:`SOURCE` for one source")
	ls := &cobra.Command{
		Use: "ls", Short: "List keys", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Keys(c.Context())
				if err != nil {
					return err
				}
				var rows [][]string
				for _, k := range all {
					rows = append(rows, []string{k.Name, string(k.Scope), clock(k.CreatedAt), clock(k.LastUsedAt)})
				}
				return a.print(some(all), []string{"name", "scope", "made", "last used"}, rows)
			})
		},
	}
	rm := &cobra.Command{
		Use: "rm NAME", Short: "Revoke a key at once", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error { return s.RemoveKey(c.Context(), args[0]) })
		},
	}
	c.AddCommand(add, ls, rm)
	return c
}
