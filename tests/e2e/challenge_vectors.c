/* Runs the arithmetic of the device in C by itself, for one vector:
 *     challenge_vectors ID NONCES CHALLENGE VERSION TYPE SEALED     (bytes in hex, the key in EXTERNAL_KEY)
 * prints the proof, and what the sealed answer says or `refused`, both in hex. */
#define main device_main
#include "challenge_device.c"
#undef main

static size_t from_hex(const char *text, unsigned char *bytes) {
    size_t size = strlen(text) / 2;
    for (size_t place = 0; place < size; place++) sscanf(text + 2 * place, "%2hhx", bytes + place);
    return size;
}

static void show(const unsigned char *bytes, int size) {
    for (int place = 0; place < size; place++) printf("%02x", bytes[place]);
    printf("\n");
}

int main(int argc, char **argv) {
    static unsigned char sealed[ANSWER], text[ANSWER], challenge[CHALLENGE], proof[HASH];
    struct party party = {.id = argv[1], .key = getenv("EXTERNAL_KEY")};
    if (argc != 7 || party.key == NULL) return 2;
    from_hex(argv[2], party.nonces);
    prove(&party, challenge, from_hex(argv[3], challenge), proof);
    show(proof, HASH);
    int size = open_answer(&party, strtoull(argv[4], NULL, 10), argv[5], sealed, (int)from_hex(argv[6], sealed), text);
    if (size < 0) printf("refused\n");
    else show(text, size);
    return 0;
}
