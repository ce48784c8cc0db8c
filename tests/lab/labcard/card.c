/* Where a stream is, and when the program has something to do. */
#include "card.h"

#include <math.h>
#include <stdarg.h>
#include <sys/timerfd.h>
#include <time.h>

#define SECOND_NS 1000000000LL
#define AT_ONCE 1 /* for a timer 0 means never */
#define NEVER 0

bool is_speaker(const struct card *card)
{
    return card->io.stream == SND_PCM_STREAM_PLAYBACK;
}

bool is_gone(const struct card *card)
{
    return card->world.header->connection != card->connection;
}

void note(struct card *card, const char *format, ...)
{
    char line[256];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line, "%lld %d %s ", now.tv_sec * SECOND_NS + now.tv_nsec, (int)getpid(),
                          is_speaker(card) ? "speaker" : "mic");
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    if (write(card->log, line, length) < 0) {
        /* a full disk must not become the sound card's fault */
    }
}

/* Capture advances by whole periods, as DMA with period interrupts: alsa-lib's generic read loop would otherwise wake
 * at drifting odd times. A program that reads nothing but whole periods can have it in steps of `mic_step`. */
int64_t position(struct card *card)
{
    int64_t elapsed = world_card_now(&card->world) - card->start, at;
    if (is_speaker(card)) {
        at = elapsed + 1; /* the frame that sounds now has been fetched */
    } else {
        at = floor(elapsed * card->speed);
        at -= at % (int64_t)(card->world.header->mic_step ? card->world.header->mic_step : card->io.period_size);
    }
    if (at > card->position) /* never back: a stall may begin while we look */
        card->position = at;
    return card->position;
}

/* The card time at which avail() reaches avail_min, or at which a draining stream is empty. */
static int64_t due(const struct card *card)
{
    int64_t buffer = card->io.buffer_size, period = card->io.period_size, wanted = card->avail_min;
    if (is_speaker(card)) {
        int64_t frames = card->io.state == SND_PCM_STATE_DRAINING ? card->appl : card->appl - buffer + wanted;
        return card->start + frames - 1;
    }
    int64_t frames = (card->appl + wanted + period - 1) / period * period;
    return card->start + (int64_t)ceil(frames / card->speed);
}

static int64_t wake_at(const struct card *card)
{
    if (is_gone(card) || card->phase == STOPPED)
        return AT_ONCE;
    if (card->phase == PREPARED)
        return is_speaker(card) && card->appl + card->avail_min <= card->io.buffer_size ? AT_ONCE : NEVER;
    int64_t at = due(card);
    if (world_card_now(&card->world) >= at)
        return AT_ONCE;
    return world_stalled(&card->world) ? NEVER : world_ns(&card->world, world_of_card(&card->world, at));
}

bool is_due(struct card *card)
{
    return wake_at(card) == AT_ONCE;
}

void arm(struct card *card)
{
    char rung[512];
    while (read(card->bell, rung, sizeof rung) > 0) {
    }
    int64_t at = wake_at(card);
    struct itimerspec alarm = {.it_value = {.tv_sec = at / SECOND_NS, .tv_nsec = at % SECOND_NS}};
    timerfd_settime(card->timer, TFD_TIMER_ABSTIME, &alarm, NULL);
}
