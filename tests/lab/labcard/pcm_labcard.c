/* labcard: a virtual sound card, as an alsa-lib plugin (user space: no driver, no daemon, no root).
 *
 *     program -> alsa-lib -> this plugin -> world file <- labcard.py <- test
 *
 * It keeps the rules of hardware. Frames are consumed and produced by the clock, not by the program; an empty or an
 * overfull ring is an XRUN; drop() silences what has not been fetched yet; all errors are those of a kernel device.
 *
 * Every callback ends in arm(), which makes the one poll descriptor readable exactly when the program has something to
 * do, so that a program may poll it raw, without asking alsa-lib what the event meant.
 */
#include "card.h"

#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>

#define DRAIN_LIMIT_MS 10000 /* the kernel gives up draining after this time, too */

/* Make avail() return `error`. alsa-lib has no way for that: what it returns is hw_ptr - appl_ptr (plus the buffer, of
 * a speaker), brought into range by adding `boundary` once. Prepare sets both pointers to 0 again. */
static snd_pcm_sframes_t fail_avail(struct card *card, int error)
{
    card->io.hw_ptr = 0;
    card->io.appl_ptr = card->boundary - error + (is_speaker(card) ? card->io.buffer_size : 0);
    return card->told; /* as before, so that hw_ptr is not moved */
}

static bool notice_xrun(struct card *card)
{
    if (card->phase != RUNNING || is_gone(card))
        return false;
    int64_t ahead = position(card) - card->appl;
    if (ahead < (is_speaker(card) ? 1 : (int64_t)card->io.buffer_size))
        return false;
    card->phase = STOPPED;
    if (card->io.state != SND_PCM_STATE_DRAINING)
        note(card, "xrun idx=%lld", (long long)world_now(&card->world));
    return true;
}

static snd_pcm_sframes_t on_pointer(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (card->phase != STOPPED)
        card->appl = io->appl_ptr;
    speaker_keep_up(card);
    bool xrun = notice_xrun(card);
    arm(card);
    if (is_gone(card)) {
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
        return fail_avail(card, -ENODEV);
    }
    if (io->state == SND_PCM_STATE_SETUP)
        return fail_avail(card, -EBADFD);
    if (xrun)
        return -EPIPE;
    int64_t step = is_speaker(card) && card->world.header->speaker_step ? card->world.header->speaker_step : 1;
    card->told = card->position / step * step % (int64_t)card->boundary;
    return card->told;
}

static int on_prepare(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (is_gone(card))
        return -ENODEV;
    card->phase = PREPARED;
    card->position = card->told = card->appl = 0;
    arm(card);
    return 0;
}

static int on_start(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (is_gone(card))
        return -ENODEV;
    card->speed = is_speaker(card) ? 1 : 1 + card->world.header->skew_ppm * 1e-6;
    card->start = world_card_now(&card->world) + 1;
    card->resumed = world_resumed(&card->world);
    card->phase = RUNNING;
    if (is_speaker(card))
        speaker_sound(card, 0, card->appl);
    int64_t at = is_speaker(card) ? speaker_sounds_at(card, 0) : world_of_card(&card->world, card->start);
    note(card, "start idx=%lld prefill=%lld", (long long)at, (long long)card->appl);
    arm(card);
    return 0;
}

static void stop_speaker(struct card *card)
{
    int64_t fetched = position(card), played = fetched < card->appl ? fetched : card->appl;
    speaker_silence(card, played, card->appl);
    note(card, "stop idx=%lld played=%lld discarded=%lld heard=%lld", (long long)speaker_sounds_at(card, played),
         (long long)played, (long long)(card->appl - played), (long long)card->world.header->heard);
}

static int on_stop(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (card->phase == RUNNING && !is_gone(card)) {
        if (is_speaker(card))
            stop_speaker(card);
        else
            note(card, "stop idx=%lld read=%lld", (long long)world_now(&card->world), (long long)card->appl);
    }
    card->phase = STOPPED;
    arm(card); /* wakes a thread that is blocked in poll, write or read */
    return 0;
}

static snd_pcm_sframes_t on_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                     snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct card *card = io->private_data;
    if (is_gone(card))
        return -ENODEV;
    card->appl = io->appl_ptr; /* alsa-lib moves it when we return; or not: a capture's mmap may be begun twice */
    if (is_speaker(card)) {
        speaker_accept(card, areas, offset, size);
        if (card->phase == RUNNING)
            speaker_sound(card, card->appl - size, card->appl);
    } else {
        while (card->world.header->hung_pid == (uint32_t)getpid())
            usleep(1000);
        mic_reap_dead_speaker(card);
        mic_deliver(card, areas, offset, size);
    }
    arm(card);
    return size;
}

static int on_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *descriptors, unsigned count, unsigned short *revents)
{
    struct card *card = io->private_data;
    (void)descriptors, (void)count;
    *revents = 0;
    speaker_keep_up(card);
    arm(card);
    if (is_gone(card)) {
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
        *revents = POLLERR | POLLNVAL;
    } else if (io->state == SND_PCM_STATE_SETUP) {
        return -EBADFD; /* what a write that is blocked in the kernel returns when another thread drops */
    } else if (io->state == SND_PCM_STATE_XRUN) {
        *revents = POLLERR;
    } else if (is_due(card)) {
        *revents = is_speaker(card) ? POLLOUT : POLLIN;
    }
    return 0;
}

static int on_drain(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (!is_speaker(card))
        return 0;
    if (card->phase == PREPARED && card->appl)
        on_start(io);
    while (card->phase == RUNNING && position(card) < card->appl) {
        if (is_gone(card))
            return -ENODEV;
        if (io->nonblock)
            return -EAGAIN;
        speaker_keep_up(card);
        arm(card);
        struct pollfd wait = {.fd = card->descriptor, .events = POLLIN};
        if (poll(&wait, 1, DRAIN_LIMIT_MS) == 0)
            return -EIO;
    }
    return 0;
}

static int on_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
    struct card *card = io->private_data;
    int64_t at = card->phase == RUNNING ? position(card) : card->position;
    *delay = is_speaker(card) ? card->appl - at + card->world.header->fifo : at - card->appl;
    return is_gone(card) ? -ENODEV : 0;
}

/* The first to open the card chooses its rate; one crystal clocks both directions. */
static int on_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
    struct card *card = io->private_data;
    (void)params;
    if (is_gone(card))
        return -ENODEV;
    free(card->ring);
    card->ring = calloc(io->buffer_size, sizeof *card->ring);
    if (!card->ring)
        return -ENOMEM;
    card->world.header->rate = io->rate;
    note(card, "hw_params rate=%u channels=%u period=%lu buffer=%lu", io->rate, io->channels, io->period_size,
         io->buffer_size);
    return 0;
}

static int on_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
    struct card *card = io->private_data;
    snd_pcm_sw_params_get_avail_min(params, &card->avail_min);
    snd_pcm_sw_params_get_boundary(params, &card->boundary);
    return 0;
}

static int on_close(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    if (card->log >= 0)
        note(card, "close");
    const int descriptors[] = {card->log, card->timer, card->bell, card->descriptor};
    for (unsigned i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    world_close(&card->world);
    free(card->ring);
    free(card->window);
    free(card);
    return 0;
}

/* ------------------------------------------------------------------------------------------------- opening */

static int read_config(snd_config_t *config, const char **path)
{
    snd_config_iterator_t i, next;
    snd_config_for_each(i, next, config)
    {
        snd_config_t *entry = snd_config_iterator_entry(i);
        const char *id;
        if (snd_config_get_id(entry, &id) < 0 || !strcmp(id, "type") || !strcmp(id, "hint") || !strcmp(id, "comment"))
            continue;
        if (strcmp(id, "world") != 0) {
            SNDERR("labcard: unknown field %s", id);
            return -EINVAL;
        }
        if (snd_config_get_string(entry, path) < 0)
            return -EINVAL;
    }
    return *path ? 0 : -EINVAL;
}

static int watch(struct card *card, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(card->descriptor, EPOLL_CTL_ADD, descriptor, &event);
}

/* The timer says that frames are due. The bell is rung by labcard.py, by touching the file: look at the header. */
static int open_descriptors(struct card *card, const char *path)
{
    char log[4096];
    snprintf(log, sizeof log, "%s.log", path);
    card->log = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    card->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    card->bell = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    card->descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (card->log < 0 || card->timer < 0 || card->bell < 0 || card->descriptor < 0)
        return -errno;
    if (inotify_add_watch(card->bell, path, IN_ATTRIB) < 0)
        return -errno;
    return watch(card, card->timer) < 0 || watch(card, card->bell) < 0 ? -errno : 0;
}

/* While the other direction is open its rate is the only one. */
static unsigned accepted_rates(struct card *card, unsigned *rates)
{
    const volatile struct header *header = card->world.header;
    snd_pcm_stream_t other = is_speaker(card) ? SND_PCM_STREAM_CAPTURE : SND_PCM_STREAM_PLAYBACK;
    unsigned count = 0;
    rates[0] = header->rate;
    if (world_seat_taken(&card->world, other))
        return 1;
    for (; count < WORLD_RATES && header->rates[count]; count++)
        rates[count] = header->rates[count];
    return count;
}

static int limit_params(struct card *card)
{
    const volatile struct header *header = card->world.header;
    snd_pcm_ioplug_t *io = &card->io;
    /* mmap: alsa-lib emulates it on our transfer, and needs it for its own converters ("plug") */
    const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED};
    const unsigned format = SND_PCM_FORMAT_S16_LE;
    unsigned rates[WORLD_RATES];
    unsigned rate_count = accepted_rates(card, rates), least = header->channels_min, most = header->channels_max;
    int error;
    if ((error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, access)) < 0 ||
        (error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, &format)) < 0 ||
        (error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_RATE, rate_count, rates)) < 0 ||
        (error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, least, most)) < 0 ||
        (error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 17)) < 0 ||
        (error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024)) < 0 ||
        (error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128, 1 << 21)) < 0)
        return error;
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = on_start,
    .stop = on_stop,
    .pointer = on_pointer,
    .transfer = on_transfer,
    .close = on_close,
    .hw_params = on_hw_params,
    .sw_params = on_sw_params,
    .prepare = on_prepare,
    .drain = on_drain,
    .poll_revents = on_poll_revents,
    .delay = on_delay,
};

static int open_card(struct card *card, const char *path, snd_pcm_stream_t stream)
{
    int error = world_open(&card->world, path);
    if (error < 0)
        return error;
    card->connection = card->world.header->connection;
    if (card->connection % 2)
        return -ENODEV;
    error = world_take_seat(&card->world, stream);
    if (error < 0)
        return error;
    card->window = calloc(stream == SND_PCM_STREAM_CAPTURE ? MIC_WINDOW : 1, sizeof *card->window);
    if (!card->window)
        return -ENOMEM;
    return open_descriptors(card, path);
}

SND_PCM_PLUGIN_DEFINE_FUNC(labcard)
{
    const char *path = NULL;
    (void)root;
    int error = read_config(conf, &path);
    if (error < 0)
        return error;
    struct card *card = calloc(1, sizeof *card);
    if (!card)
        return -ENOMEM;
    card->world.fd = card->log = card->timer = card->bell = card->descriptor = -1;
    card->speed = 1;
    card->boundary = LONG_MAX / 2; /* until sw_params says */
    card->io = (snd_pcm_ioplug_t){
        .version = SND_PCM_IOPLUG_VERSION,
        .name = "labcard virtual sound card",
        .flags = SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA,
        .callback = &callbacks,
        .private_data = card,
        .poll_events = POLLIN,
    };
    error = open_card(card, path, stream);
    card->io.poll_fd = card->descriptor;
    if (!error)
        error = snd_pcm_ioplug_create(&card->io, name, stream, mode);
    if (error < 0) {
        on_close(&card->io);
        return error;
    }
    note(card, "open");
    error = limit_params(card);
    if (error < 0) {
        snd_pcm_ioplug_delete(&card->io); /* calls on_close */
        return error;
    }
    *pcmp = card->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(labcard)
