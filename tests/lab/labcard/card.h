/* One open PCM of the virtual card: the speaker or the microphone. */
#pragma once

#include "world.h"

#include <alsa/pcm_external.h>

enum phase { STOPPED, PREPARED, RUNNING }; /* alsa-lib's own state changes only after our callbacks: it is late */

struct card {
    snd_pcm_ioplug_t io;
    struct world world;
    uint32_t connection;
    int log, timer, bell, descriptor; /* the descriptor polls the timer and the bell */
    snd_pcm_uframes_t avail_min, boundary;
    enum phase phase;
    double speed;           /* of this PCM's crystal against the world's clock */
    int64_t start;          /* card time of stream frame 0 */
    int64_t position;       /* stream frames consumed or produced */
    int64_t appl;           /* stream frames that the program has written or read */
    snd_pcm_sframes_t told; /* the position alsa-lib knows of */
    int16_t *ring;          /* speaker: what it was given; it is placed again after a stall */
    int64_t silent;         /* speaker: frames of silence that were written last */
    uint32_t resumed;       /* speaker: stalls that were over when the ring was last placed */
    float *window;          /* microphone: the loudspeaker's recent past */
};

bool is_speaker(const struct card *card);
bool is_gone(const struct card *card); /* unplugged, if only for a moment */
void note(struct card *card, const char *format, ...) __attribute__((format(printf, 2, 3)));

int64_t position(struct card *card); /* look at the clock */
bool is_due(struct card *card);      /* has poll() something to report? */
void arm(struct card *card);         /* make the descriptor readable when it has */

/* speaker.c */
void speaker_accept(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset, int64_t size);
/* World time: a frame is fetched at its card time, and is then `fifo` frames on its way. */
int64_t speaker_sounds_at(const struct card *card, int64_t frame);
void speaker_sound(struct card *card, int64_t from, int64_t until); /* stream frames [from, until) of the ring */
void speaker_silence(struct card *card, int64_t from, int64_t until);
void speaker_keep_up(struct card *card);

/* mic.c */
#define MIC_WINDOW (WORLD_TAPS + 1024)
void mic_deliver(struct card *card, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset, int64_t size);
void mic_reap_dead_speaker(struct card *card);
