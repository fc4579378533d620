//! The VFS as SQLite calls it, over the one that was the default before.
//!
//! The only module with `unsafe`: SQLite's interface is one of C. Everything that is decided is decided elsewhere. A file of SQLite's
//! is a piece of memory of `szOsFile` bytes whose beginning is a `sqlite3_file`: here a [`Handle`], followed by the file of
//! the VFS below. A file that is on no faulty disk is made by the VFS below alone, in the same memory, and never comes by here again.

#![deny(unsafe_op_in_unsafe_fn)]
#![expect(unsafe_code, reason = "a VFS is an interface of C; this crate is for tests alone")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::crash::{Edge, FileKind};
use crate::disk::{self, OpenFile, Verdict};
use crate::faults::{Call, Done};

/// The VFS below; null before [`install`].
static BELOW: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// Why a method of the VFS below is there.
const IS_THERE: &str = "SQLite's VFS for Unix has all methods of version 2";

/// The beginning of an open file on a faulty disk.
#[repr(C)]
struct Handle {
    /// What SQLite knows of it.
    file: sqlite3_file,
    /// What this crate knows of it, owned.
    open: *mut OpenFile,
}

/// Where the file of the VFS below begins: SQLite aligns to 8 bytes, and so is this.
const BELOW_AT: usize = size_of::<Handle>().next_multiple_of(8);

/// Version 2 has no mapping of files into memory, so all that is read and written comes by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes it the VFS of all connections that are opened from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: null asks for the default; SQLite initialises itself.
        let below = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!below.is_null(), "SQLite has a default VFS");
        BELOW.store(below, Ordering::Release);
        // SAFETY: it was just found, and a VFS that is registered stays.
        let methods = unsafe { *below };
        // What is not replaced works on names, time and chance, and none of it looks at the VFS that it is called with.
        let shim = Box::leak(Box::new(sqlite3_vfs {
            szOsFile: BELOW_AT as c_int + methods.szOsFile,
            pNext: ptr::null_mut(),
            zName: c"faulty-disk".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            ..methods
        }));
        // SAFETY: it is never freed, and neither is its name.
        let code = unsafe { ffi::sqlite3_vfs_register(shim, 1) };
        assert_eq!(code, ffi::SQLITE_OK, "the VFS is registered");
    });
}

/// The VFS below, and what it is.
fn below() -> (*mut sqlite3_vfs, sqlite3_vfs) {
    let below = BELOW.load(Ordering::Acquire);
    // SAFETY: SQLite calls nothing here before `install` has registered it, and it is never freed.
    (below, unsafe { *below })
}

/// # Safety
/// `name` is a string of C, or null, and lives as long as what is returned.
unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the caller says what it is.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// Makes a call of which nothing or all is done.
fn carry_out(verdict: Verdict, call: impl FnOnce() -> c_int) -> c_int {
    match verdict {
        Verdict::Passes => call(),
        Verdict::Fails { code, done } => {
            if done == Done::All {
                call();
            }
            code
        }
    }
}

unsafe extern "C" fn open(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let (vfs, methods) = below();
    let open = methods.xOpen.expect(IS_THERE);
    // SAFETY: SQLite gives the full name of a file, or null for one without a name.
    let path = unsafe { path_of(name) };
    let Some((path, disk)) = path.and_then(|path| Some((path, disk::disk_of(path)?))) else {
        // SAFETY: the arguments are SQLite's own, and the memory is larger than the VFS below asks for.
        return unsafe { open(vfs, name, file, flags, flags_out) };
    };
    // SAFETY: the memory is of the size that `install` asked for; without methods SQLite does not close what was not opened.
    unsafe { (*file).pMethods = ptr::null() };
    if let Verdict::Fails { code, .. } = disk.begin(Call::Open) {
        return code;
    }
    // SAFETY: `szOsFile` holds both, one behind the other.
    let inner = unsafe { file.byte_add(BELOW_AT) };
    let (code, id) = disk.open(path, || {
        // SAFETY: the arguments are SQLite's own, but for the memory, which is that of this file's second half.
        unsafe { open(vfs, name, inner, flags, flags_out) }
    });
    if code != ffi::SQLITE_OK {
        // SAFETY: the VFS below has set its methods, to null if there is nothing to close.
        if let Some(close) = unsafe { (*inner).pMethods.as_ref() }.and_then(|methods| methods.xClose) {
            // SAFETY: as SQLite itself does with a file that could not be opened and has methods.
            unsafe { close(inner) };
        }
        return code;
    }
    let open = Box::into_raw(Box::new(OpenFile { disk, id, kind: FileKind::of(path) }));
    // SAFETY: the memory is SQLite's, large enough and aligned for a handle, which holds nothing to be dropped.
    unsafe { file.cast::<Handle>().write(Handle { file: sqlite3_file { pMethods: &METHODS }, open }) };
    code
}

unsafe extern "C" fn delete(_vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    let (vfs, methods) = below();
    let delete = methods.xDelete.expect(IS_THERE);
    // SAFETY: SQLite gives the full name of a file.
    let path = unsafe { path_of(name) };
    // SAFETY: the arguments are SQLite's own.
    let delete = || unsafe { delete(vfs, name, sync_folder) };
    match path.and_then(|path| Some((path, disk::disk_of(path)?))) {
        None => delete(),
        Some((path, disk)) => carry_out(disk.begin(Call::Delete), || {
            let code = delete();
            if code == ffi::SQLITE_OK {
                disk.removed(path, sync_folder != 0);
            }
            code
        }),
    }
}

unsafe extern "C" fn access(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    let (vfs, methods) = below();
    let access = methods.xAccess.expect(IS_THERE);
    // SAFETY: SQLite gives the full name of a file.
    let disk = unsafe { path_of(name) }.and_then(disk::disk_of);
    let verdict = disk.map_or(Verdict::Passes, |disk| disk.begin(Call::Access));
    // SAFETY: the arguments are SQLite's own.
    carry_out(verdict, || unsafe { access(vfs, name, flags, result) })
}

/// The two halves of an open file.
struct Halves<'a> {
    open: &'a OpenFile,
    file: *mut sqlite3_file,
    methods: &'a sqlite3_io_methods,
}

/// # Safety
/// `file` was opened by [`open`] with a handle, and is not closed as long as what is returned lives.
unsafe fn halves<'a>(file: *mut sqlite3_file) -> Halves<'a> {
    // SAFETY: it begins with a handle, whose box lives until the file is closed.
    let open = unsafe { &*(*file.cast::<Handle>()).open };
    // SAFETY: the file of the VFS below follows it, open, and its methods are static.
    let (file, methods) = unsafe {
        let inner = file.byte_add(BELOW_AT);
        (inner, &*(*inner).pMethods)
    };
    Halves { open, file, methods }
}

// In everything below, `file` comes from SQLite, which calls these methods on files alone that `open` has given them to, from one
// thread at a time, and not after `close`. The other arguments are given on as they came.

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see above.
    let Halves { file: inner, methods, .. } = unsafe { halves(file) };
    let close = methods.xClose.expect(IS_THERE);
    // SAFETY: see above.
    let code = unsafe { close(inner) };
    // SAFETY: `open` made it of a box, and this is the one time that it is taken back.
    drop(unsafe { Box::from_raw((*file.cast::<Handle>()).open) });
    code
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    len: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let read = methods.xRead.expect(IS_THERE);
    // SAFETY: see above.
    carry_out(open.disk.begin(Call::Read), || unsafe { read(file, buffer, len, at) })
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    len: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let write = methods.xWrite.expect(IS_THERE);
    open.crash_at(Call::Write, Edge::Before);
    let (told, len) = match open.disk.begin(Call::Write) {
        Verdict::Passes => (None, len),
        Verdict::Fails { code, done: Done::Nothing } => return code,
        Verdict::Fails { code, done: Done::Half } => (Some(code), len / 2),
        Verdict::Fails { code, done: Done::All } => (Some(code), len),
    };
    // SAFETY: see above; of the buffer there is at least as much as it is asked to write.
    let code = unsafe { write(file, buffer, len, at) };
    if code == ffi::SQLITE_OK {
        // SAFETY: the buffer holds that many bytes, which nobody changes during the call.
        let bytes = unsafe { slice::from_raw_parts(buffer.cast::<u8>(), len as usize) };
        open.wrote(at.cast_unsigned(), bytes);
        open.crash_at(Call::Write, Edge::After);
    }
    told.unwrap_or(code)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let truncate = methods.xTruncate.expect(IS_THERE);
    carry_out(open.disk.begin(Call::Truncate), || {
        // SAFETY: see above.
        let code = unsafe { truncate(file, len) };
        if code == ffi::SQLITE_OK {
            open.truncated(len.cast_unsigned());
        }
        code
    })
}

/// Nothing is synced in truth: what power loss leaves is told from what is written down, and the system needs no sync to remember.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: see above.
    let Halves { open, .. } = unsafe { halves(file) };
    open.crash_at(Call::Sync, Edge::Before);
    match open.disk.begin(Call::Sync) {
        Verdict::Passes => {
            open.synced();
            open.crash_at(Call::Sync, Edge::After);
            ffi::SQLITE_OK
        }
        Verdict::Fails { code, done: Done::All } => {
            open.synced();
            code
        }
        Verdict::Fails { code, .. } => {
            open.sync_failed();
            code
        }
    }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let file_size = methods.xFileSize.expect(IS_THERE);
    // SAFETY: see above.
    carry_out(open.disk.begin(Call::FileSize), || unsafe { file_size(file, size) })
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let lock = methods.xLock.expect(IS_THERE);
    // SAFETY: see above.
    carry_out(open.disk.begin(Call::Lock), || unsafe { lock(file, level) })
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let unlock = methods.xUnlock.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { unlock(file, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, result: *mut c_int) -> c_int {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let check = methods.xCheckReservedLock.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { check(file, result) }
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let control = methods.xFileControl.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { control(file, what, argument) }
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let size = methods.xSectorSize.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { size(file) }
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let characteristics = methods.xDeviceCharacteristics.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { characteristics(file) }
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    len: c_int,
    may_extend: c_int,
    mapped: *mut *mut c_void,
) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let map = methods.xShmMap.expect(IS_THERE);
    let verdict = open.disk.begin(Call::ShmMap);
    if matches!(verdict, Verdict::Fails { .. }) {
        // SAFETY: SQLite waits for an address there, which is none.
        unsafe { *mapped = ptr::null_mut() };
    }
    // SAFETY: see above.
    carry_out(verdict, || unsafe { map(file, region, len, may_extend, mapped) })
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, at: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: see above.
    let Halves { open, file, methods } = unsafe { halves(file) };
    let lock = methods.xShmLock.expect(IS_THERE);
    let verdict = match flags & ffi::SQLITE_SHM_UNLOCK {
        0 => open.disk.begin(Call::ShmLock),
        _ => Verdict::Passes,
    };
    // SAFETY: see above.
    carry_out(verdict, || unsafe { lock(file, at, count, flags) })
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let barrier = methods.xShmBarrier.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { barrier(file) }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, and_delete: c_int) -> c_int {
    // SAFETY: see above.
    let Halves { file, methods, .. } = unsafe { halves(file) };
    let unmap = methods.xShmUnmap.expect(IS_THERE);
    // SAFETY: see above.
    unsafe { unmap(file, and_delete) }
}
