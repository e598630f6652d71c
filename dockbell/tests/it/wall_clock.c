/* A wall clock that is off by as many seconds as the file named by WALL_CLOCK says, for a process that preloads this. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("WALL_CLOCK");
    if (result != 0 || clock != CLOCK_REALTIME || path == NULL)
        return result;
    char text[32] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return result;
    if (read(file, text, sizeof text - 1) > 0)
        now->tv_sec += strtol(text, NULL, 10);
    close(file);
    return result;
}
