/* The shared file, its clocks, and who sits at which side of the card. */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "world.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

_Static_assert(sizeof(struct header) <= WORLD_HEADER_BYTES, "the header outgrew its page");

int world_open(struct world *world, const char *path)
{
    struct stat status;
    world->fd = open(path, O_RDWR | O_CLOEXEC);
    if (world->fd < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    if (fstat(world->fd, &status) < 0 || status.st_size < WORLD_HEADER_BYTES)
        return -ENODEV;
    void *map = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, world->fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    world->bytes = status.st_size;
    world->header = map;
    if (world->header->magic != WORLD_MAGIC || world->header->bytes != sizeof(struct header)) {
        SNDERR("labcard: %s has another layout than this plugin", path);
        return -ENODEV;
    }
    world->response = (float *)((char *)map + WORLD_HEADER_BYTES);
    world->speaker = (int16_t *)(world->response + WORLD_TAPS);
    world->air = world->speaker + world->header->capacity;
    return 0;
}

void world_close(struct world *world)
{
    if (world->header)
        munmap((void *)world->header, world->bytes);
    if (world->fd >= 0)
        close(world->fd); /* gives the seat back */
}

/* Seats are byte locks on the world file: the kernel frees them when their owner dies, and asking takes nothing.
 * A new connection is a new card, with free seats even while dead PCMs of the old one are still open. */
static struct flock seat(const struct world *world, snd_pcm_stream_t stream)
{
    return (struct flock){
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = 2 * (off_t)world->header->connection + (stream == SND_PCM_STREAM_CAPTURE),
        .l_len = 1,
    };
}

int world_take_seat(struct world *world, snd_pcm_stream_t stream)
{
    struct flock lock = seat(world, stream);
    return fcntl(world->fd, F_OFD_SETLK, &lock) < 0 ? -EBUSY : 0;
}

bool world_seat_taken(struct world *world, snd_pcm_stream_t stream)
{
    struct flock lock = seat(world, stream);
    return fcntl(world->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int64_t world_now(const struct world *world)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t rate = world->header->rate;
    int64_t ns = now.tv_sec * SECOND_NS + now.tv_nsec - world->header->epoch_ns;
    return ns / SECOND_NS * rate + ns % SECOND_NS * rate / SECOND_NS;
}

int64_t world_ns(const struct world *world, int64_t world_time)
{
    int64_t rate = world->header->rate;
    int64_t fraction = (world_time % rate * SECOND_NS + rate - 1) / rate; /* up: at that ns it has begun */
    return world->header->epoch_ns + world_time / rate * SECOND_NS + fraction;
}

bool world_stalled(const struct world *world)
{
    uint32_t count = world->header->stall_count;
    return count && !world->header->stalls[count - 1].until;
}

uint32_t world_resumed(const struct world *world)
{
    return world->header->stall_count - world_stalled(world);
}

int64_t world_card_now(const struct world *world)
{
    int64_t lost = 0;
    for (uint32_t k = 0; k < world->header->stall_count; k++) {
        int64_t from = world->header->stalls[k].from, until = world->header->stalls[k].until;
        if (!until)
            return from - 1 - lost;
        lost += until - from;
    }
    return world_now(world) - lost;
}

int64_t world_of_card(const struct world *world, int64_t card_time)
{
    int64_t lost = 0;
    for (uint32_t k = 0; k < world->header->stall_count; k++) {
        int64_t from = world->header->stalls[k].from, until = world->header->stalls[k].until;
        if (!until || card_time < from - lost)
            break;
        lost += until - from;
    }
    return card_time + lost;
}

void world_put(struct world *world, int64_t world_time, int16_t sample)
{
    if (world_time >= 0 && (uint64_t)world_time < world->header->capacity)
        world->speaker[world_time] = sample;
}
