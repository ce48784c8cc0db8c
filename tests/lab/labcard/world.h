/* The file that a virtual sound card shares with the test that drives it ("the world").
 *
 *     header (4096 bytes) | room response (float) | speaker timeline (int16) | air timeline (int16)
 *
 *     speaker[n]   what left the loudspeaker at instant n                 (written by the playback PCM)
 *     air[n]       what sounds near the microphone                        (written by the test)
 *     microphone   air[n] + sum over k of response[k] * drive(speaker[n - k])
 *
 * Three clocks count frames:
 *     world time   index into the timelines, (CLOCK_MONOTONIC - epoch) * rate; never stops
 *     card time    world time without the stalls: what the card itself has counted
 *     stream time  frames of one PCM since its start
 *
 * Nobody ever waits for a lock: a test in the same process may hold Python's GIL.
 */
#pragma once

#include <alsa/asoundlib.h>
#include <stdbool.h>
#include <stdint.h>

#define WORLD_MAGIC 0x4c414243u
#define WORLD_HEADER_BYTES 4096
#define WORLD_RATES 8
#define WORLD_STALLS 16
#define WORLD_TAPS 65536 /* longest room response: 1.36 s at 48 kHz */

struct stall {
    int64_t from, until; /* world time [from, until) did not happen; until == 0: it lasts */
};

struct header { /* the same table is in labcard.py */
    uint32_t magic, bytes;
    int64_t epoch_ns;
    uint64_t capacity; /* samples in each timeline */
    uint32_t rate;     /* of the timelines: set by whoever opens the card first */
    uint32_t rates[WORLD_RATES];
    uint32_t channels_min, channels_max;
    int32_t mic_channel, mic_idle; /* which channel hears (-1: all), and what is on the others */
    uint32_t mute_mic, mute_speaker;
    uint32_t mic_step, speaker_step; /* frames that a pointer moves at once; 0: the mic's by periods, the other by 1 */
    uint32_t fifo;       /* frames between the ring buffer and the air: drop() cannot take them back */
    uint32_t taps;       /* length of the room response */
    float drive;         /* 0: the loudspeaker is linear; else it saturates at full scale / drive */
    double skew_ppm;     /* how much faster the microphone's crystal is */
    uint32_t connection; /* odd: unplugged. A PCM lives as long as this stays what it was at its opening */
    uint32_t stall_count;
    struct stall stalls[WORLD_STALLS]; /* only ever appended to, so a reader sees before or after, not between */
    int64_t speaker_end;               /* world time up to which something is scheduled to sound */
    uint64_t uneven_frames;            /* played frames whose channels were not all alike */
    int64_t heard;                     /* world time up to which the microphone has been read */
    uint32_t hung_pid;                 /* a process whose reads do not come back, as of a driver that hangs */
};

struct world {
    int fd;
    size_t bytes;
    volatile struct header *header; /* volatile: the test changes it while we look */
    float *response;
    int16_t *speaker, *air;
};

int world_open(struct world *world, const char *path);
void world_close(struct world *world);

/* One PCM per direction and connection, as on a hw: device. -EBUSY when somebody else has it. */
int world_take_seat(struct world *world, snd_pcm_stream_t stream);
bool world_seat_taken(struct world *world, snd_pcm_stream_t stream);

bool world_stalled(const struct world *world);
uint32_t world_resumed(const struct world *world); /* how many stalls are over */
int64_t world_now(const struct world *world);
int64_t world_ns(const struct world *world, int64_t world_time); /* when it begins, CLOCK_MONOTONIC */
int64_t world_card_now(const struct world *world);
int64_t world_of_card(const struct world *world, int64_t card_time);
void world_put(struct world *world, int64_t world_time, int16_t sample);
