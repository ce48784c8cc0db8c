/* The microphone: it hears the air, and the loudspeaker through the room.
 *
 * The convolution runs over a block of output, a few taps at a time. Its inner loop has no sum across elements, so the
 * compiler makes SIMD of it without leave to reorder floating point, and taps of zero (a single echo) cost nothing.
 */
#include "card.h"

#include <math.h>
#include <string.h>

#define FULL_SCALE 32767.0f
#define BLOCK 512 /* frames at once; they stem from as many of the world's, or some more if the mic's clock is slow */
#define HEARD_MAX 1024

_Static_assert(MIC_WINDOW >= WORLD_TAPS + HEARD_MAX, "the window must hold all that one block can hear");

/* Copy the part of [at, at + count) that exists; the rest is silence. Returns whether anything sounds. */
static bool cut(const int16_t *timeline, int64_t capacity, int64_t at, int count, float *out)
{
    int64_t first = at < 0 ? -at : 0, last = at + count > capacity ? capacity - at : count;
    int any = 0;
    memset(out, 0, count * sizeof *out);
    for (int64_t i = first; i < last; i++) {
        out[i] = timeline[at + i];
        any |= timeline[at + i];
    }
    return any;
}

/* A loudspeaker that is driven too hard: gain 1 for small signals, and never louder than full scale / drive. */
static void saturate(float *samples, int count, float drive)
{
    for (int i = 0; i < count; i++)
        if (samples[i] != 0)
            samples[i] = FULL_SCALE / drive * tanhf(drive / FULL_SCALE * samples[i]);
}

/* Four taps in one pass: the sum's loads and stores are what a pass costs. Each tap lies one sample further back. */
static void add_taps(float *restrict sum, const float *restrict past, const float *gain, int count)
{
    const float first = gain[0], second = gain[1], third = gain[2], fourth = gain[3];
    for (int i = 0; i < count; i++)
        sum[i] = sum[i] + first * past[i + 3] + second * past[i + 2] + third * past[i + 1] + fourth * past[i];
}

/* World time [at, at + count), neither rounded nor clipped. */
static void hear_world(struct card *card, int64_t at, int count, float *heard)
{
    const struct world *world = &card->world;
    const float *response = world->response, drive = world->header->drive;
    int64_t capacity = world->header->capacity;
    int taps = (world->header->taps + 3) / 4 * 4; /* beyond its end the response is 0 */
    int past = taps - 1;

    cut(world->air, capacity, at, count, heard);
    if (!taps || taps > WORLD_TAPS || !cut(world->speaker, capacity, at - past, past + count, card->window))
        return;
    if (drive > 0)
        saturate(card->window, past + count, drive);
    for (int k = 0; k < taps; k += 4)
        if (response[k] || response[k + 1] || response[k + 2] || response[k + 3])
            add_taps(heard, card->window + past - k - 3, response + k, count);
}

/* Card time [from, from + count): a stall in between makes it two stretches of world time. */
static void hear_card(struct card *card, int64_t from, int count, float *heard)
{
    while (count) {
        int64_t at = world_of_card(&card->world, from);
        int stretch = 1;
        while (stretch < count && world_of_card(&card->world, from + stretch) == at + stretch)
            stretch++;
        hear_world(card, at, stretch, heard);
        from += stretch, heard += stretch, count -= stretch;
    }
}

static int16_t clipped(float sample)
{
    return lrintf(sample > 32767 ? 32767 : sample < -32768 ? -32768 : sample);
}

/* Stream frame n lies at card time start + n / speed: linear interpolation, exact when speed is 1. */
static void capture(struct card *card, int64_t frame, int count, int16_t *samples)
{
    float heard[HEARD_MAX];
    int64_t first = floor(frame / card->speed), last = floor((frame + count - 1) / card->speed) + 1;
    hear_card(card, card->start + first, last - first + 1, heard);
    for (int i = 0; i < count; i++) {
        double at = (frame + i) / card->speed - first;
        const float *sample = heard + (int)at;
        float fraction = at - (int)at;
        samples[i] = card->world.header->mute_mic ? 0 : clipped(sample[0] + fraction * (sample[1] - sample[0]));
    }
}

void mic_deliver(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset, int64_t size)
{
    const volatile struct header *header = card->world.header;
    int16_t samples[BLOCK];
    for (int64_t done = 0; done < size; done += BLOCK) {
        int count = size - done < BLOCK ? size - done : BLOCK;
        capture(card, card->appl + done, count, samples);
        for (unsigned channel = 0; channel < card->io.channels; channel++) {
            const snd_pcm_channel_area_t *area = &areas[channel];
            bool hears = header->mic_channel < 0 || header->mic_channel == (int32_t)channel;
            char *out = (char *)area->addr + (area->first + area->step * (offset + done)) / 8;
            for (int i = 0; i < count; i++, out += area->step / 8)
                *(int16_t *)out = hears ? samples[i] : header->mic_idle;
        }
    }
    card->appl += size;
    card->world.header->heard = world_of_card(&card->world, card->start + (int64_t)floor(card->appl / card->speed));
}

/* The kernel stops the stream of a player that is killed. Here whoever listens does it. */
void mic_reap_dead_speaker(struct card *card)
{
    volatile struct header *header = card->world.header;
    int64_t from = world_now(&card->world) + 1 + header->fifo, until = header->speaker_end;
    if (until <= from || world_seat_taken(&card->world, SND_PCM_STREAM_PLAYBACK))
        return;
    for (int64_t at = from; at < until; at++)
        world_put(&card->world, at, 0);
    header->speaker_end = from;
    note(card, "reaped idx=%lld", (long long)from);
}
