/* The least program that sends and receives the votes of an election: at a
 * VOTE it broadcasts one vote of 40 bytes and counts what comes. As many
 * processes as boards, each in its own network namespace.
 *
 *   storm ADDRESS BROADCAST PORT BOARDS
 *
 * Ends when BOARDS votes were heard (its own too), and tells the CPU time that
 * it took in microseconds and the moment in nanoseconds of the monotonic clock. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in own = { .sin_family = AF_INET }, all = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, buffer = 1 << 20, heard = 0;
	char in[64], vote[40] = { 0 };
	struct rusage used;
	struct timespec end;

	if (argc != 5)
		return 2;
	setsockopt(s, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	inet_pton(AF_INET, argv[2], &all.sin_addr);
	all.sin_port = own.sin_port = htons(atoi(argv[3]));
	own.sin_addr.s_addr = htonl(INADDR_ANY);
	if (bind(s, (struct sockaddr *)&own, sizeof own) != 0) {
		perror("bind");
		return 4;
	}
	snprintf(vote, sizeof vote, "# %s %d", argv[1], 1 + (int)(getpid() % 10));
	puts("ready");
	fflush(stdout);
	while (heard < atoi(argv[4])) {
		ssize_t n = recv(s, in, sizeof in, 0);

		if (n >= 4 && memcmp(in, "VOTE", 4) == 0)
			sendto(s, vote, sizeof vote, 0, (struct sockaddr *)&all, sizeof all);
		else if (n > 0 && in[0] == '#')
			heard++;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	getrusage(RUSAGE_SELF, &used);
	printf("%ld %lld\n", (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L +
			used.ru_utime.tv_usec + used.ru_stime.tv_usec,
			end.tv_sec * 1000000000LL + end.tv_nsec);
	return 0;
}
