/* The least program that answers WHOIS: one blocking recvfrom and one sendto.
 * It elects nobody and waits for nothing else: the floor of what an answer
 * costs on this machine. Usage: loop ADDRESS PORT [poll] */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in own = { .sin_family = AF_INET }, from;
	char in[64], out[40] = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM, 0), with_poll = argc > 3;
	struct pollfd fd = { .fd = s, .events = POLLIN };

	if (argc < 3 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1)
		return 2;
	own.sin_port = htons(atoi(argv[2]));
	if (bind(s, (struct sockaddr *)&own, sizeof own) != 0) {
		perror("bind");
		return 4;
	}
	snprintf(out, sizeof out, "loop on board %s is the master", argv[1]);
	for (;;) {
		socklen_t len = sizeof from;

		if (with_poll && poll(&fd, 1, -1) < 0)
			return 1;
		ssize_t n = recvfrom(s, in, sizeof in, 0, (struct sockaddr *)&from, &len);
		if (n >= 5 && memcmp(in, "WHOIS", 5) == 0)
			sendto(s, out, sizeof out, 0, (struct sockaddr *)&from, len);
	}
}
