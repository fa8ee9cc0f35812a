/* Asks WHOIS and measures.
 *
 *   ask rtt COUNT ADDRESS:PORT...      round trips, one after the other; the
 *       servers take turns in blocks of 50, so that all meet the same moments
 *       of a noisy machine. A line a server: microseconds at the median, at
 *       the 99th percentile, at the most.
 *   ask flood SECONDS WINDOW ADDRESS:PORT   as fast as answers come, WINDOW
 *       questions under way. Prints the number of answers. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SERVERS_MAX = 8, BLOCK = 50 };

static const char question[40] = "WHOIS\n";

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct sockaddr_in server(char *text)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char *colon = strchr(text, ':');

	if (!colon)
		exit(2);
	*colon = 0;
	if (inet_pton(AF_INET, text, &to.sin_addr) != 1)
		exit(2);
	to.sin_port = htons(atoi(colon + 1));
	return to;
}

/* One round trip in microseconds; a lost one counts as a second. */
static double ask(int s, const struct sockaddr_in *to)
{
	char in[64];
	double begun = now();
	struct pollfd fd = { .fd = s, .events = POLLIN };

	sendto(s, question, sizeof question, 0, (const struct sockaddr *)to, sizeof *to);
	if (poll(&fd, 1, 1000) != 1)
		return 1e6;
	recv(s, in, sizeof in, 0);
	return now() - begun;
}

static int round_trips(int s, int argc, char **argv)
{
	int count = atoi(argv[2]), servers = argc - 3;
	struct sockaddr_in to[SERVERS_MAX];
	double *took[SERVERS_MAX];

	if (servers < 1 || servers > SERVERS_MAX || count < BLOCK)
		return 2;
	for (int i = 0; i < servers; i++) {
		to[i] = server(argv[3 + i]);
		took[i] = malloc(count * sizeof(double));
		for (int n = 0; n < BLOCK; n++)
			if (ask(s, &to[i]) >= 1e6) {
				fprintf(stderr, "server %d does not answer\n", i);
				return 1;
			}
	}
	for (int n = 0; n + BLOCK <= count; n += BLOCK)
		for (int i = 0; i < servers; i++)
			for (int k = 0; k < BLOCK; k++)
				took[i][n + k] = ask(s, &to[i]);
	count -= count % BLOCK;
	for (int i = 0; i < servers; i++) {
		qsort(took[i], count, sizeof(double), by_value);
		printf("%.2f %.2f %.2f\n", took[i][count / 2], took[i][count / 100 * 99], took[i][count - 1]);
	}
	return 0;
}

static int flood(int s, char **argv)
{
	double end = now() + atof(argv[2]) * 1e6;
	int window = atoi(argv[3]), under_way = 0;
	struct sockaddr_in to = server(argv[4]);
	struct pollfd fd = { .fd = s, .events = POLLIN };
	long answers = 0;
	char in[64];

	while (now() < end) {
		for (; under_way < window; under_way++)
			sendto(s, question, sizeof question, 0, (struct sockaddr *)&to, sizeof to);
		if (poll(&fd, 1, 20) != 1)
			under_way = 0;
		while (recv(s, in, sizeof in, MSG_DONTWAIT) > 0) {
			answers++;
			if (under_way > 0)
				under_way--;
		}
	}
	printf("%ld\n", answers);
	return 0;
}

int main(int argc, char **argv)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), buffer = 4 << 20;

	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	if (argc >= 4 && strcmp(argv[1], "rtt") == 0)
		return round_trips(s, argc, argv);
	if (argc == 5 && strcmp(argv[1], "flood") == 0)
		return flood(s, argv);
	fprintf(stderr, "usage: ask rtt COUNT ADDRESS:PORT... | ask flood SECONDS WINDOW ADDRESS:PORT\n");
	return 2;
}
