package smtptest

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is made of it
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is made of it
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

func (c *session) authOffered() bool {
	return c.server.auth && (c.tls || !c.server.startTLS)
}

// login takes the mechanisms that the server offers, PLAIN and LOGIN with the initial
// response or without.
func (c *session) login(rest string) error {
	mechanism, initial, given := strings.Cut(rest, " ")
	mechanism = strings.ToUpper(mechanism)
	if !c.authOffered() || c.authed {
		return c.reply("503 5.5.1 not offered")
	}
	if !slices.Contains(c.server.mechanisms, mechanism) {
		return c.reply("504 5.5.4 mechanism not offered")
	}
	check := map[string]func(initial string, given bool) (bool, error){
		"PLAIN": c.plain, "LOGIN": c.loginLogin, "CRAM-MD5": c.cramMD5, "XOAUTH2": c.xoauth2,
		"SCRAM-SHA-1":      func(i string, g bool) (bool, error) { return c.scram(sha1.New, false, i, g) },
		"SCRAM-SHA-256":    func(i string, g bool) (bool, error) { return c.scram(sha256.New, false, i, g) },
		"SCRAM-SHA-1-PLUS": func(i string, g bool) (bool, error) { return c.scram(sha1.New, true, i, g) }, "SCRAM-SHA-256-PLUS": func(i string, g bool) (bool, error) { return c.scram(sha256.New, true, i, g) },
	}[mechanism]
	good, err := check(initial, given)
	if err != nil {
		return err
	}
	usual := "235 2.7.0 welcome"
	if !good {
		usual = "535 5.7.8 wrong user or password"
	}
	return c.answer(Auth, usual, func() { c.user, c.authed = c.server.user, true })
}

func (c *session) right(user, password string) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return user == c.server.user && password == c.server.password
}

// SetPassword changes the password, or the token: the old one works no more.
func (s *Server) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// plain is RFC 4616.
func (c *session) plain(initial string, given bool) (bool, error) {
	response, err := c.challenge("", initial, given)
	if err != nil {
		return false, err
	}
	parts := strings.Split(response, "\x00") // authorisation identity, user, password
	return len(parts) == 3 && c.right(parts[1], parts[2]), nil
}

// loginLogin has no standard but is widely spoken.
func (c *session) loginLogin(initial string, given bool) (bool, error) {
	user, err := c.challenge("Username:", initial, given)
	if err != nil {
		return false, err
	}
	password, err := c.challenge("Password:", "", false)
	return err == nil && c.right(user, password), err
}

// cramMD5 is RFC 2195.
func (c *session) cramMD5(string, bool) (bool, error) {
	challenge := fmt.Sprintf("<%d.1@relay.test>", c.number)
	response, err := c.challenge(challenge, "", false)
	if err != nil {
		return false, err
	}
	sum := hmac.New(md5.New, []byte(c.secret()))
	sum.Write([]byte(challenge))
	return response == c.server.user+" "+hex.EncodeToString(sum.Sum(nil)), nil
}

// xoauth2 tells the reason of a failure in a challenge, which the client has to answer
// with an empty line, as Google and Microsoft do.
func (c *session) xoauth2(initial string, given bool) (bool, error) {
	response, err := c.challenge("", initial, given)
	if err != nil {
		return false, err
	}
	if response == "user="+c.server.user+"\x01auth=Bearer "+c.secret()+"\x01\x01" {
		return true, nil
	}
	_, err = c.challenge(`{"status":"400","schemes":"Bearer"}`, "", false)
	return false, err
}

func (c *session) secret() string {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.server.password
}

// scram is RFC 5802 with the hash of RFC 7677, and with plus the channel binding of RFC
// 9266.
func (c *session) scram(h func() hash.Hash, plus bool, initial string, given bool) (bool, error) {
	first, err := c.challenge("", initial, given)
	if err != nil {
		return false, err
	}
	header := "n,,"
	if plus {
		header = "p=tls-exporter,,"
	}
	bare, ok := strings.CutPrefix(first, header)
	user, nonce, found := strings.Cut(strings.TrimPrefix(bare, "n="), ",r=")
	if !ok || !found || user != c.server.user {
		return false, nil
	}
	salt := []byte("salt")
	nonce += "server"
	serverFirst := fmt.Sprintf("r=%s,s=%s,i=4096", nonce, base64.StdEncoding.EncodeToString(salt))
	final, err := c.challenge(serverFirst, "", false)
	if err != nil {
		return false, err
	}
	unproven, proof, _ := strings.Cut(final, ",p=")
	binding := []byte(header)
	if plus {
		state := c.conn.(*tls.Conn).ConnectionState()
		exported, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			return false, err
		}
		binding = append(binding, exported...)
	}
	if unproven != "c="+base64.StdEncoding.EncodeToString(binding)+",r="+nonce {
		return false, nil
	}
	salted, err := pbkdf2.Key(h, c.secret(), salt, 4096, h().Size())
	if err != nil {
		return false, err
	}
	mac := func(key []byte, text string) []byte {
		m := hmac.New(h, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	clientKey := mac(salted, "Client Key")
	stored := h()
	stored.Write(clientKey)
	exchange := bare + "," + serverFirst + "," + unproven
	signature := mac(stored.Sum(nil), exchange)
	for i := range clientKey {
		clientKey[i] ^= signature[i]
	}
	given64, err := base64.StdEncoding.DecodeString(proof)
	if err != nil || !bytes.Equal(given64, clientKey) {
		return false, nil //nolint:nilerr // a proof that is none is a wrong one
	}
	_, err = c.challenge("v="+base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), exchange)), "", false)
	return err == nil, err
}

// challenge returns the initial response if there is one, else asks for one.
func (c *session) challenge(prompt, initial string, given bool) (string, error) {
	if !given {
		if err := c.reply("334 " + base64.StdEncoding.EncodeToString([]byte(prompt))); err != nil {
			return "", err
		}
		var err error
		if initial, err = c.readLine(maxCommandLine); err != nil {
			return "", err
		}
	}
	decoded, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return "", errors.Join(errEnd, c.reply("501 5.5.2 not base64"))
	}
	return string(decoded), nil
}
