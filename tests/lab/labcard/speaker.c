/* The loudspeaker: frames that the program writes are put on the timeline at the instants at which they will sound. */
#include "card.h"

#define PAUSE_PARTS 20 /* of a second: so much silence ends a sound */

void speaker_accept(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset, int64_t size)
{
    for (int64_t i = 0; i < size; i++) {
        int16_t first = 0;
        bool even = true;
        for (unsigned channel = 0; channel < card->io.channels; channel++) {
            const snd_pcm_channel_area_t *area = &areas[channel];
            int16_t sample = *(int16_t *)((char *)area->addr + (area->first + area->step * (offset + i)) / 8);
            if (channel == 0)
                first = sample;
            even &= sample == first;
        }
        card->ring[(card->appl + i) % card->io.buffer_size] = first;
        card->world.header->uneven_frames += !even;
        if (first && card->silent >= card->io.rate / PAUSE_PARTS)
            note(card, "sounds heard=%lld", (long long)card->world.header->heard);
        card->silent = first ? 0 : card->silent + 1;
    }
    card->appl += size;
}

int64_t speaker_sounds_at(const struct card *card, int64_t frame)
{
    return world_of_card(&card->world, card->start + frame) + card->world.header->fifo;
}

void speaker_silence(struct card *card, int64_t from, int64_t until)
{
    for (int64_t frame = from; frame < until; frame++)
        world_put(&card->world, speaker_sounds_at(card, frame), 0);
}

static bool is_silent(const struct card *card)
{
    return is_gone(card) || world_stalled(&card->world);
}

/* The test may stop the card while we write, and silences what it finds on the timeline then. So look before and after,
 * and take back what it may have missed. */
void speaker_sound(struct card *card, int64_t from, int64_t until)
{
    if (is_silent(card))
        return;
    card->world.header->speaker_end = speaker_sounds_at(card, until);
    for (int64_t frame = from; frame < until; frame++) {
        int16_t sample = card->ring[frame % (int64_t)card->io.buffer_size];
        world_put(&card->world, speaker_sounds_at(card, frame), card->world.header->mute_speaker ? 0 : sample);
    }
    __sync_synchronize();
    if (is_silent(card))
        speaker_silence(card, from, until);
}

/* After a stall, what was waiting sounds later than it was meant to. What had sounded before is written over itself. */
void speaker_keep_up(struct card *card)
{
    uint32_t resumed = world_resumed(&card->world);
    if (card->resumed == resumed)
        return;
    card->resumed = resumed;
    int64_t oldest = card->appl - (int64_t)card->io.buffer_size;
    if (card->phase == RUNNING)
        speaker_sound(card, oldest > 0 ? oldest : 0, card->appl);
}
