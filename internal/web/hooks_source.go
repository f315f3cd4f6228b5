package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// maxSourceHook bounds a call of a source's hook. Ghost sends an article
// twice, as it is and as it was; nobody reads it.
const maxSourceHook = 16 << 20

// hookSource takes a publisher's word that there is something new, and asks
// for a look. Whatever the call says, the site itself is what is believed. An
// unknown source is answered like a wrong token, and nothing is ever answered
// 410, upon which Ghost deletes its webhook.
func (s *Server) hookSource(proof func(*http.Request, news.Source) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.o.Hint == nil {
			return news.ErrNotFound
		}
		if err := s.guessing(w, r); err != nil {
			return err
		}
		src, err := s.o.Store.SourceByName(r.Context(), r.PathValue("name"))
		if err != nil && !errors.Is(err, news.ErrNotFound) {
			return fmt.Errorf("look up source: %w", err)
		}
		if src.Kind == news.SourcePush {
			src = news.Source{} // there is nothing to look at
		}
		err = proof(r, src)
		var no *hookRefusal
		if errors.As(err, &no) {
			s.failed(r)
			s.log.Warn("hook refused", "path", "/hooks/source", "source", src.Name, "status", no.status, "err", no.why)
			return answerProblem(w, problem{Status: no.status, Detail: no.why})
		}
		if err != nil {
			return err
		}
		if err := s.throttled(w, s.api.hooks.of(src.ID)); err != nil {
			return err
		}
		if err := s.o.Hint(r.Context(), src); err != nil {
			return fmt.Errorf("take hint: %w", err)
		}
		return answerJSON(w, http.StatusAccepted, map[string]string{"source": src.Name, "result": "accepted"})
	}
}

// tokenHook is for senders that know only a URL.
func (s *Server) tokenHook(r *http.Request, src news.Source) error {
	// Read, so that the sender does not see its connection cut; never looked at.
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if !s.o.Links.IsHookToken(src, r.PathValue("token"), s.now()) {
		return &hookRefusal{http.StatusUnauthorized, "this address is not valid; `gazetted source hook` prints the one that is"}
	}
	return nil
}

// signedHook is for senders that sign their calls, as Ghost does, or that can
// send the token in a header.
func (s *Server) signedHook(r *http.Request, src news.Source) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if signature := r.Header.Get("X-Ghost-Signature"); signature != "" {
		return s.ghostSigned(signature, body, src)
	}
	if token := bearer(r); token == "" || !s.o.Links.IsHookToken(src, token, s.now()) {
		return &hookRefusal{http.StatusUnauthorized, "send the token with: Authorization: Bearer TOKEN, or sign the call as Ghost does"}
	}
	return nil
}

// ghostSigned checks "sha256=HEX, t=MILLISECONDS", the HMAC of the body and the
// time (Ghost 5.87 and later; before it the time was not signed).
func (s *Server) ghostSigned(header string, body []byte, src news.Source) error {
	bad := &hookRefusal{http.StatusUnauthorized, "the signature is not that of this body with the secret that `gazetted source hook` prints"}
	var mac []byte
	var stamp string
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "sha256":
			mac, _ = hex.DecodeString(value) // what is no hex matches nothing
		case "t":
			stamp = value
		}
	}
	ms, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || src.ID == 0 {
		return bad
	}
	want := hmac.New(sha256.New, []byte(s.o.Links.HookSecret(src)))
	want.Write(body)
	want.Write([]byte(stamp))
	if !hmac.Equal(mac, want.Sum(nil)) {
		return bad
	}
	if err := s.hooks.fresh(time.UnixMilli(ms)); err != nil {
		return err
	}
	if !s.hooks.replays.begin(sha256.Sum256(append([]byte("ghost\x00"), mac...)), s.now()) {
		return refused("this was sent before")
	}
	return nil
}
