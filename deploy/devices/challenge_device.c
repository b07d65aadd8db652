/* A device that fetches its configuration by challenge and response; challenge.md, beside this file, specifies what it does.
 *
 *     cc -o challenge_device challenge_device.c -lcrypto
 *     EXTERNAL_KEY=... ./challenge_device 127.0.0.1 8080 pump-17
 *
 * Prints the configuration. It speaks plain HTTP over a POSIX socket and needs OpenSSL's libcrypto. */
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LABEL "firstlight bootstrap 1"
enum { NONCE = 32, HASH = 32, IV = 12, TAG = 16, CHALLENGE = 256, ID = 1024, TYPE = 255, BOUND = 2048, ANSWER = 65536 };

struct party { const char *id, *key; unsigned char nonces[2 * NONCE]; };  /* the device's nonce, then the gateway's */
struct bytes { size_t size; unsigned char at[BOUND]; };

/* Puts a field behind others: its length in four bytes, and itself. */
static void put(struct bytes *to, const void *field, size_t size) {
    if (size > BOUND - 4 || to->size > BOUND - 4 - size) abort();
    for (int shift = 24; shift >= 0; shift -= 8) to->at[to->size++] = (unsigned char)(size >> shift);
    memcpy(to->at + to->size, field, size);
    to->size += size;
}

static void put_party(struct bytes *to, const struct party *party) {
    to->size = 0;
    put(to, LABEL, strlen(LABEL));
    put(to, party->id, strlen(party->id));
    put(to, party->nonces, NONCE);
    put(to, party->nonces + NONCE, NONCE);
}

static void sign(const void *key, size_t key_size, const void *text, size_t size, unsigned char *digest) {
    if (HMAC(EVP_sha256(), key, (int)key_size, text, size, digest, NULL) == NULL) abort();
}

/* HKDF-SHA-256 (RFC 5869), whose second step is one block here. */
static void derive(const struct party *party, const char *info, unsigned char *key) {
    unsigned char extracted[HASH];
    char block[64];
    sign(party->nonces, 2 * NONCE, party->key, strlen(party->key), extracted);
    int size = snprintf(block, sizeof block, "%s %s\x01", LABEL, info);
    sign(extracted, HASH, block, (size_t)size, key);
    OPENSSL_cleanse(extracted, HASH);
}

void prove(const struct party *party, const unsigned char *challenge, size_t size, unsigned char *proof) {
    struct bytes transcript;
    unsigned char key[HASH];
    put_party(&transcript, party);
    put(&transcript, challenge, size);
    derive(party, "proof", key);
    sign(key, HASH, transcript.at, transcript.size, proof);
    OPENSSL_cleanse(key, HASH);
}

/* Opens an answer; returns the size of what it says, -1 where it is not the gateway's answer to this very request. */
int open_answer(const struct party *party, unsigned long long version, const char *type, unsigned char *sealed, int size,
                unsigned char *text) {
    struct bytes bound;
    unsigned char key[HASH], number[8];
    int written = 0, last = 0, good;
    for (int place = 7; place >= 0; place--, version >>= 8) number[place] = (unsigned char)version;
    put_party(&bound, party);
    put(&bound, number, sizeof number);
    put(&bound, type, strlen(type));
    derive(party, "answer", key);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    good = size >= IV + TAG && cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, sealed) == 1 &&
           EVP_DecryptUpdate(cipher, NULL, &written, bound.at, (int)bound.size) == 1 &&
           EVP_DecryptUpdate(cipher, text, &written, sealed + IV, size - IV - TAG) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG, sealed + size - TAG) == 1 &&
           EVP_DecryptFinal_ex(cipher, text + written, &last) == 1;
    EVP_CIPHER_CTX_free(cipher);
    OPENSSL_cleanse(key, HASH);
    return good ? written + last : -1;
}

static void fail(const char *why) {
    fprintf(stderr, "no configuration: %s\n", why);
    exit(1);
}

/* Posts a document over a connection of its own; returns the answer's body, in the room that is given. */
static char *post(char **argv, const char *path, const char *document, char *room) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
    size_t size = 0;
    ssize_t part = 0;
    if (getaddrinfo(argv[1], argv[2], &wanted, &found) != 0) fail("there is no such host");
    int line = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (line < 0 || connect(line, found->ai_addr, found->ai_addrlen) != 0) fail("there is no gateway");
    freeaddrinfo(found);
    dprintf(line, "POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path,
            argv[1], strlen(document), document);
    while (size < ANSWER - 1 && (part = read(line, room + size, ANSWER - 1 - size)) > 0) size += (size_t)part;
    close(line);
    room[size] = '\0';
    char *body = strstr(room, "\r\n\r\n");
    if (part != 0 || body == NULL || size < 12) fail("the answer is cut off");
    if (strncmp(room + 8, " 200", 4) != 0) fail(body + 4);
    return body + 4;
}

/* Returns where the value of a member begins. */
static const char *value_of(const char *document, const char *name) {
    const char *value = strstr(document, name);
    if (value == NULL) fail("the answer has a member less");
    value += strlen(name);
    return value + strspn(value, ": \t\r\n");
}

/* Returns a copy of a text that has no escapes. */
static char *text_of(const char *document, const char *name) {
    const char *text = value_of(document, name), *end = *text == '"' ? strchr(text + 1, '"') : NULL;
    char *copy = end == NULL ? NULL : strndup(text + 1, (size_t)(end - text - 1));
    if (copy == NULL) fail("the answer has a member that is no text");
    return copy;
}

/* Decodes base64; returns the bytes and says how many. */
static unsigned char *decode(const char *text, int *size) {
    int length = (int)strlen(text), padding = length > 1 ? (text[length - 1] == '=') + (text[length - 2] == '=') : 0;
    unsigned char *decoded = malloc((size_t)length + 1);
    *size = decoded == NULL ? -1 : EVP_DecodeBlock(decoded, (const unsigned char *)text, length) - padding;
    if (*size < 0) fail("the answer is not base64");
    return decoded;
}

int main(int argc, char **argv) {
    static char room[ANSWER], document[BOUND];
    static unsigned char text[ANSWER];
    unsigned char proof[HASH], nonce64[64], proof64[64];
    int challenge_size, nonce_size, sealed_size;
    struct party party = {.id = argc == 4 ? argv[3] : "", .key = getenv("EXTERNAL_KEY")};
    if (argc != 4 || party.key == NULL) fail("EXTERNAL_KEY and HOST PORT EXTERNAL_ID are needed");
    if (strlen(party.id) > ID || strpbrk(party.id, "\"\\") != NULL) fail("this device knows no escapes of JSON");
    if (RAND_bytes(party.nonces, NONCE) != 1) fail("there is no randomness");
    EVP_EncodeBlock(nonce64, party.nonces, NONCE);
    snprintf(document, sizeof document, "{\"external_id\":\"%s\",\"nonce\":\"%s\"}", party.id, nonce64);
    char *offered = post(argv, "/v1/bootstrap/challenge", document, room);
    char *challenge64 = text_of(offered, "\"challenge\"");
    unsigned char *challenge = decode(challenge64, &challenge_size);
    unsigned char *nonce = decode(text_of(offered, "\"nonce\""), &nonce_size);
    if (challenge_size > CHALLENGE || nonce_size != NONCE) fail("the challenge is not one");
    memcpy(party.nonces + NONCE, nonce, NONCE);
    prove(&party, challenge, (size_t)challenge_size, proof);
    EVP_EncodeBlock(proof64, proof, HASH);
    snprintf(document, sizeof document, "{\"external_id\":\"%s\",\"nonce\":\"%s\",\"challenge\":\"%s\",\"proof\":\"%s\"}",
             party.id, nonce64, challenge64, proof64);
    char *answer = post(argv, "/v1/bootstrap", document, room);
    char *type = text_of(answer, "\"content_type\"");
    unsigned char *sealed = decode(text_of(answer, "\"sealed\""), &sealed_size);
    if (strlen(type) > TYPE) fail("the answer is of a strange type");
    unsigned long long version = strtoull(value_of(answer, "\"version\""), NULL, 10);
    int size = open_answer(&party, version, type, sealed, sealed_size, text);
    if (size < 0) fail("the answer was altered, or comes from somebody else");
    printf("%.*s\n", size, text);
    return 0;
}
